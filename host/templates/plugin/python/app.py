"""Converts `key = value` files to a page with a table.

The host copies the input to `request.input`, calls `convert`, and takes from `request.output` what
the returned document names. There is no network, no environment and no real clock.
"""

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import types


class Converter(exports.Converter):
    def describe(self) -> types.Description:
        return types.Description(
            name="{{name}}",
            version="0.1.0",
            accepts=[types.AcceptedType(media_type="text/x-key-value", extensions=["kv"])],
        )

    def probe(self, head: bytes, name: str) -> int:
        """How sure we are, 0 to 100, to read an input that starts so."""
        if 0 in head:
            return 0
        lines = (line.strip() for line in head.decode("utf-8", "replace").split("\n"))
        line = next((line for line in lines if is_content(line)), "")
        return 60 if "=" in line else 0

    def assets(self, request: types.Request) -> list[types.AssetReference]:
        """The format refers to no other files."""
        return []

    def convert(self, request: types.Request) -> types.Document:
        with open(request.input, "rb") as file:
            content = file.read()
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError:
            raise Err(types.ConvertError_Corrupt("the text is not UTF-8"))
        found, warnings = pairs(text)
        if not found:
            raise Err(types.ConvertError_Corrupt("no line has the form `key = value`"))
        title = value(found, "title")
        author = value(found, "author")
        with open(f"{request.output}/page.md", "w", encoding="utf-8", newline="\n") as file:
            file.write(page(title, found))
        main = types.OutputFile(
            path="page.md", role=types.Role.MAIN, media_type="text/markdown", page=None
        )
        return types.Document(
            files=[main],
            title=title,
            name=None,
            remote_id=None,
            pages=None,
            outline=[],
            metadata=[("author", author)] if author is not None else [],
            warnings=warnings,
        )


def is_content(line: str) -> bool:
    """Neither empty nor a comment."""
    return line != "" and not line.startswith("#")


def pairs(text: str) -> tuple[list[tuple[str, str]], list[str]]:
    """The pairs of all lines, and a warning for each line that is none."""
    found, warnings = [], []
    for number, line in enumerate(text.split("\n"), 1):
        line = line.strip()
        if not is_content(line):
            continue
        key, equals, rest = line.partition("=")
        if equals:
            found.append((key.strip(), rest.strip()))
        elif len(warnings) < 100:  # The host shows no more than some hundred.
            warnings.append(f"line {number} was left out: it has no `=`")
    return found, warnings


def value(found: list[tuple[str, str]], key: str) -> str | None:
    return next((text for known, text in found if known.lower() == key), None)


def page(title: str | None, found: list[tuple[str, str]]) -> str:
    """The Markdown page."""
    lines = [f"# {escaped(title)}", ""] if title is not None else []
    lines += ["| Key | Value |", "| --- | --- |"]
    lines += [f"| {escaped(key)} | {escaped(text)} |" for key, text in found]
    return "\n".join(lines) + "\n"


def escaped(text: str) -> str:
    """Text from the input, so that it cannot be taken for Markdown."""
    special = "\\|`*_[]<>#&"
    return "".join(
        "\\" + c if c in special else c if c.isprintable() else " " for c in text
    )
