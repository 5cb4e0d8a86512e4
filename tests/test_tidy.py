"""Style as ordinary tests: sizes, leftovers, docstrings, hosts; what formatter, linter and type checker do not see."""

import ast
import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]
FOLDERS = ("mts_stream", "producers", "tests", "deploy", ".ci")
TEXT = {".py", ".md", ".toml", ".yml", ".yaml", ".sql", ".html", ".css", ".js", ".lock", ".json", ".xml", ""}
SOURCE_LINES_MAX = 400
TEST_LINES_MAX = 500
FUNCTION_LINES_MAX = 70
FILE_KIB_MAX = 4096


def kept(path: Path) -> bool:
    """Whether a path is ours: no cache, no build product."""
    return path.is_file() and "__pycache__" not in path.parts and ".egg-info" not in str(path)


FILES = sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("*") if kept(p))
FILES += sorted(p for p in ROOT.iterdir() if p.is_file() and p.suffix in {".md", ".toml", ".yml", ".lock"})
PYTHON = [p for p in FILES if p.suffix == ".py" and "data" not in p.relative_to(ROOT).parts]
SOURCES = [p for p in PYTHON if p.relative_to(ROOT).parts[0] != "tests"]
TESTS = [p for p in PYTHON if p not in SOURCES]
PROSE = [p for p in FILES if p.suffix in TEXT and "data" not in p.relative_to(ROOT).parts and p != Path(__file__)]


def shown(path: Path) -> str:
    """A path as a failure shows it."""
    return str(path.relative_to(ROOT))


def functions(path: Path) -> list[ast.FunctionDef | ast.AsyncFunctionDef]:
    """Every function of a file, methods and nested ones too."""
    tree = ast.parse(path.read_text())
    return [node for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]


def test_a_file_holds_one_idea() -> None:
    """A file that grows past its bound holds two ideas."""
    lines = {path: len(path.read_text().splitlines()) for path in PYTHON}
    bound = {path: TEST_LINES_MAX if path in TESTS else SOURCE_LINES_MAX for path in PYTHON}

    assert {shown(path): lines[path] for path in PYTHON if lines[path] > bound[path]} == {}


def test_a_function_fits_on_a_screen() -> None:
    """No function of the sources is longer than a screen, a composition root included."""
    sizes = {(shown(path), f.name): (f.end_lineno or 0) - f.lineno for path in SOURCES for f in functions(path)}

    assert {function: lines for function, lines in sizes.items() if lines > FUNCTION_LINES_MAX} == {}


def test_a_module_says_what_it_is() -> None:
    """Every module that holds code begins with a sentence."""
    silent = []
    for path in PYTHON:
        tree = ast.parse(path.read_text())
        first_line = (ast.get_docstring(tree) or "").split("\n")[0].rstrip()
        if tree.body and not first_line.endswith((".", ":", "!", "?")):
            silent.append(shown(path))

    assert silent == []


def test_public_names_are_explained() -> None:
    """Public classes and functions at the top of a module say in a sentence what they are."""
    kinds = (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    top = [(path, n) for path in SOURCES for n in ast.parse(path.read_text()).body if isinstance(n, kinds)]

    assert [(shown(path), n.name) for path, n in top if n.name[0] != "_" and not ast.get_docstring(n)] == []


def test_a_test_states_its_rule() -> None:
    """Every test has a docstring: the rule it proves."""
    modules = [path for path in TESTS if path.name.startswith("test_")]
    tests = [(shown(path), f) for path in modules for f in functions(path) if f.name.startswith("test_")]

    assert [(path, test.name) for path, test in tests if not ast.get_docstring(test)] == []


def test_nothing_is_swallowed() -> None:
    """No handler catches everything without a word: bare `except`, or `except Exception: pass`."""
    silent = []
    for path in SOURCES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ExceptHandler) and swallows(node):
                silent.append((shown(path), node.lineno))

    assert silent == []


def swallows(handler: ast.ExceptHandler) -> bool:
    """Whether a handler catches everything and says nothing."""
    if handler.type is None:
        return True
    return ast.unparse(handler.type) in ("Exception", "BaseException") and isinstance(handler.body[0], ast.Pass)


def test_nothing_is_left_over() -> None:
    """No mark of unfinished work, of a merge, or of debugging; no trailing blanks; a newline at the end."""
    marks = r"\b(TODO|FIXME|XXX|HACK)\b|^(<<<<<<<|>>>>>>>) |\bbreakpoint\(\)|\bpdb\.set_trace|[ \t]+$"
    texts = {shown(path): path.read_text() for path in PROSE}

    assert {path: found for path, text in texts.items() if (found := re.findall(marks, text, re.MULTILINE))} == {}
    assert [path for path, text in texts.items() if text and not text.endswith("\n")] == []


def test_no_file_is_too_big_for_a_repository() -> None:
    """Data for tests is small, or compressed."""
    sizes = {shown(path): path.stat().st_size // 1024 for path in FILES}

    assert {path: kib for path, kib in sizes.items() if kib > FILE_KIB_MAX} == {}


def test_no_package_index_is_named() -> None:
    """Whoever installs chooses the index: none is written anywhere."""
    hosts = r"pypi\.org|pythonhosted|repo1\.maven|repo\.maven|registry\.npmjs"
    named = [str(path.relative_to(ROOT)) for path in PROSE if re.search(hosts, path.read_text())]

    assert named == []


def test_the_page_needs_no_other_host() -> None:
    """The live page loads nothing from elsewhere."""
    static = [path for path in FILES if "static" in path.parts and path.suffix in {".html", ".css", ".js"}]
    external = r"""(?:src|href)=["']?(?:https?:)?//|@import|url\(["']?(?:https?:)?//|import\(?["']https?:"""

    assert [str(path.relative_to(ROOT)) for path in static if re.search(external, path.read_text())] == []


def test_the_version_stands_once() -> None:
    """The package's version and the image's tag are the project's."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]

    assert f"image: mts-stream:{version}" in (ROOT / "docker-compose.yml").read_text()
