"""Builds the compiled kernel beside the Python one; where that cannot be, everything runs in Python."""

import sys

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, PlatformError

MODULES = (
    "mts_stream.domain.order_book_compiled",
    "mts_stream.domain.walker_compiled",
    "mts_stream.wire.depth_compiled",
)


def say(error: object) -> None:
    """Why it is not built: no reason not to install."""
    print(f"mts-stream: no compiled kernel, everything runs in Python, slower: {error}", file=sys.stderr)  # noqa: T201


class OptionalBuild(build_ext):
    """Goes on without what no compiler can be found for."""

    def build_extension(self, ext: Extension) -> None:
        """One module."""
        try:
            super().build_extension(ext)
        except (CCompilerError, PlatformError, OSError) as error:
            say(error)


try:
    from Cython.Build import cythonize
except ImportError as error:
    say(error)
    extensions = []
else:
    sources = [Extension(name, [name.replace(".", "/") + ".pyx"], optional=True) for name in MODULES]
    extensions = cythonize(sources, build_dir="build/cython", quiet=True)

setup(ext_modules=extensions, cmdclass={"build_ext": OptionalBuild})
