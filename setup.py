"""Builds the compiled kernel, and the domain's compiled form; where that cannot be, everything runs in Python."""

import importlib.util
import shutil
import sys
from pathlib import Path
from typing import Any

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, PlatformError

MODULES = (
    "mts_stream.domain.order_book_compiled",
    "mts_stream.domain.walker_compiled",
    "mts_stream.sinks.scaled_compiled",
    "mts_stream.wire.depth_compiled",
)


def say(error: object) -> None:
    """Why it is not built: no reason not to install."""
    print(f"mts-stream: no compiled kernel, everything runs in Python, slower: {error}", file=sys.stderr)  # noqa: T201


def form() -> Any:
    """What of the domain is compiled, and where to; without importing the domain."""
    spec = importlib.util.spec_from_file_location("form", Path(__file__).parent / "mts_stream/domain/compiled.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


FORM = form()
SHARED = "domain__mypyc"
COMPILED = Path("mts_stream") / FORM.FOLDER.name


class OptionalBuild(build_ext):
    """Goes on without what no compiler can be found for; the domain's modules go into a folder of their own."""

    def run(self) -> None:
        """Build, and note of which sources; a half is none."""
        self.failed = False
        super().run()
        for root in {Path(self.build_lib), *([Path()] if self.inplace else [])} if domain and not self.failed else ():
            made = {root / self.place_of(extension.name) for extension in domain}
            for old in set((root / COMPILED).rglob("*.so")) - made:
                old.unlink()
            (root / COMPILED / FORM.DIGEST).write_text(FORM.digest())

    def place_of(self, name: str) -> Path:
        """Where a module of the domain goes, from the root on."""
        *package, module = name.split(".")
        return COMPILED / Path(*package) / self.get_ext_filename(module)

    def get_ext_fullpath(self, ext_name: str) -> str:
        """Where a module is built to; what is built in place is copied from there."""
        if ext_name in domain_names:
            return str(Path(self.build_lib) / self.place_of(ext_name))
        return super().get_ext_fullpath(ext_name)

    def copy_extensions_to_source(self) -> None:
        """The domain's not beside their sources."""
        everything, self.extensions = self.extensions, [e for e in self.extensions if e.name not in domain_names]
        super().copy_extensions_to_source()
        self.extensions = everything
        for extension in [] if self.failed else domain:
            place = self.place_of(extension.name)
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(Path(self.build_lib) / place, place)

    def build_extension(self, ext: Extension) -> None:
        """One module."""
        try:
            super().build_extension(ext)
        except (CCompilerError, PlatformError, OSError) as error:
            self.failed = True
            say(error)


extensions: list[Extension] = []
domain: list[Extension] = []
domain_names = {SHARED, *(f"mts_stream.domain.{name}" for name in FORM.MODULES)}
if {"build_ext", "bdist_wheel"} & set(sys.argv):  # it takes minutes; other commands need not know it
    try:
        from Cython.Build import cythonize
        from mypyc.build import mypycify

        sources = [Extension(name, [name.replace(".", "/") + ".pyx"], optional=True) for name in MODULES]
        extensions = cythonize(sources, build_dir="build/cython", quiet=True)
        domain = mypycify(
            ["--follow-imports=silent", *(f"mts_stream/domain/{name}.py" for name in FORM.MODULES)],
            group_name=SHARED.removesuffix("__mypyc"), target_dir="build/mypyc", opt_level="2",
        )  # fmt: skip
    except (ImportError, SystemExit) as error:
        say(error)

# The domain first: it is the longest, and what runs beside it (`build_ext --parallel`) is done before it.
setup(ext_modules=[*domain, *extensions], cmdclass={"build_ext": OptionalBuild})
