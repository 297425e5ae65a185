"""From the bytes of a Jupyter notebook to a Markdown page and its pictures.

A notebook is somebody else's: every value in it may be of any type, any length and any nesting. What
is wrong in a cell costs a warning; what is wrong with the whole is a `NotebookError`.
"""

import base64
import binascii
import hashlib
import json
import re
from dataclasses import dataclass, field
from typing import Any, Callable

# Beyond these a page is no page to read.
CELLS_MAX = 20_000
OUTPUT_CHARS_MAX = 32_768
IMAGES_MAX = 1_000
IMAGE_BYTES_MAX = 16 << 20
OUTLINE_MAX = 1_000
WARNINGS_MAX = 40
TEXT_CHARS_MAX = 300
# A notebook has a depth of some ten; the parser descends recursively.
DEPTH_MAX = 100

IMAGE_TYPES = {
    "image/png": ("png", b"\x89PNG\r\n\x1a\n"),
    "image/jpeg": ("jpg", b"\xff\xd8\xff"),
}

# Colours and cursor movements of a terminal.
ANSI = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|.)")
CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")
HEADING = re.compile(r" {0,3}(#{1,6})[ \t]+(.*?)(?:[ \t]+#+)?[ \t]*$")
FENCE = re.compile(r" {0,3}(`{3,}|~{3,})")
ATTACHMENT = re.compile(r"\(attachment:([^()\s]{1,255})\)")
# Strings, so that brackets within them do not count. One that is not closed ends with the file: the
# next quote is never tried, which would take quadratic time.
JSON_STRING = re.compile(rb'"[^"\\]*(?:\\.[^"\\]*)*(?:"|\\?\Z)', re.DOTALL)
NOT_BRACKETS = bytes(sorted(set(range(256)) - set(b"[]{}")))


class NotebookError(Exception):
    """There is no page; the text says why."""


class Corrupt(NotebookError):
    """It is broken."""


class TooLarge(NotebookError):
    """It is more than is read."""


class Unsupported(NotebookError):
    """It is of another kind."""


@dataclass
class Page:
    """What a notebook becomes."""

    markdown: str = ""
    title: str | None = None
    outline: list[tuple[int, str]] = field(default_factory=list)
    metadata: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def probe(head: bytes, name: str) -> int:
    """How sure we are, 0 to 100, to read a file that starts with `head`."""
    if not head.lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return 0
    if b'"cells"' in head or b'"nbformat"' in head:
        return 95
    return 70 if name.lower().endswith(".ipynb") else 5


def convert(
    data: bytes,
    put_image: Callable[[str, str, bytes], None],
    go_on: Callable[[int, int], None],
) -> Page:
    """Converts a notebook; `put_image` writes a picture, `go_on` is asked before each cell."""
    notebook = parse(data)
    if not isinstance(notebook, dict):
        raise Corrupt("it is JSON, but no notebook")
    version = notebook.get("nbformat")
    if isinstance(version, int) and version < 4:
        raise Unsupported(f"notebook format {version}; `jupyter nbconvert --to notebook` makes it 4")
    cells = notebook.get("cells")
    if not isinstance(cells, list):
        raise Corrupt("it is JSON, but has no list of cells")
    if len(cells) > CELLS_MAX:
        raise TooLarge(f"the notebook has more than {CELLS_MAX} cells")
    return Writer(notebook, put_image).write(cells, go_on)


def parse(data: bytes) -> Any:
    """The JSON value; refuses what is nested so deeply that the parser would end."""
    depth = 0
    for bracket in JSON_STRING.sub(b"", data).translate(None, NOT_BRACKETS):
        depth += 1 if bracket in b"[{" else -1
        if depth > DEPTH_MAX:
            raise Corrupt("the JSON is nested too deeply")
    try:
        return json.loads(data)
    except (ValueError, RecursionError) as error:
        raise Corrupt(f"it is no JSON: {one_line(str(error))}") from None


def one_line(text: str, chars_max: int = TEXT_CHARS_MAX) -> str:
    """White space collapsed, control characters dropped, cut."""
    line = CONTROL.sub("", " ".join(text[: chars_max * 8].split()))
    return line if len(line) <= chars_max else line[:chars_max] + "…"


def text_of(value: Any) -> str | None:
    """Text in the notebook's way: a string, or a list of them."""
    if isinstance(value, str):
        text = value
    elif isinstance(value, list) and all(isinstance(part, str) for part in value):
        text = "".join(value)
    else:
        return None
    # JSON may hold halves of surrogate pairs, which no file can.
    return text.encode("utf-8", "replace").decode("utf-8").replace("\r\n", "\n")


def fenced(text: str, language: str = "") -> str:
    """A code block that nothing in `text` can end."""
    longest = max((len(run) for run in re.findall(r"`+", text)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{text.rstrip()}\n{fence}\n"


def mapping(value: Any) -> dict:
    """The object, or an empty one if it is none."""
    return value if isinstance(value, dict) else {}


class Writer:
    """Writes the page of one notebook, cell by cell."""

    def __init__(self, notebook: dict, put_image: Callable[[str, str, bytes], None]):
        self.page = Page()
        self.blocks: list[str] = []
        self.put_image = put_image
        self.images: dict[bytes, str] = {}
        self.warnings_left_out = 0
        metadata = mapping(notebook.get("metadata"))
        kernel = mapping(metadata.get("kernelspec"))
        language = kernel.get("language") or mapping(metadata.get("language_info")).get("name")
        self.language = ""
        if isinstance(language, str) and re.fullmatch(r"[A-Za-z0-9+#._-]{1,30}", language):
            self.language = language.lower()
            self.page.metadata.append(("programming-language", self.language))
        title = text_of(metadata.get("title"))
        self.page.title = one_line(title) if title else None
        self.first_heading: str | None = None

    def write(self, cells: list, go_on: Callable[[int, int], None]) -> Page:
        for number, cell in enumerate(cells, start=1):
            go_on(number - 1, len(cells))
            self.cell(number, mapping(cell))
        page = self.page
        page.markdown = "\n".join(self.blocks)
        page.title = page.title or self.first_heading
        if self.warnings_left_out:
            page.warnings.append(f"{self.warnings_left_out} more warnings")
        return page

    def warn(self, number: int, sentence: str) -> None:
        if len(self.page.warnings) < WARNINGS_MAX:
            self.page.warnings.append(one_line(f"cell {number}: {sentence}"))
        else:
            self.warnings_left_out += 1

    def cell(self, number: int, cell: dict) -> None:
        source = text_of(cell.get("source"))
        if source is None:
            self.warn(number, "it has no source that is text")
            return
        kind = cell.get("cell_type")
        if kind == "markdown":
            self.markdown(number, source, mapping(cell.get("attachments")))
        elif kind == "code":
            if source.strip():
                self.blocks.append(fenced(source, self.language))
            outputs = cell.get("outputs")
            if isinstance(outputs, list):
                for output in outputs:
                    self.output(number, mapping(output))
            elif outputs is not None:
                self.warn(number, "its outputs are no list")
        elif kind == "raw":
            if source.strip():
                self.blocks.append(fenced(source))
        else:
            self.warn(number, "it is of no known kind")

    def markdown(self, number: int, source: str, attachments: dict) -> None:
        def attached(match: re.Match) -> str:
            data = mapping(attachments.get(match[1]))
            path = self.image(number, data)
            return f"(kbhost-output:{path})" if path else match[0]

        fence = None
        for line in source.splitlines():
            if mark := FENCE.match(line):
                if fence is None:
                    fence = mark[1]
                elif mark[1].startswith(fence):
                    fence = None
            elif fence is None and (heading := HEADING.match(line)):
                title = one_line(heading[2])
                self.first_heading = self.first_heading or title or None
                if title and len(self.page.outline) < OUTLINE_MAX:
                    self.page.outline.append((len(heading[1]), title))
        if source.strip():
            text = ATTACHMENT.sub(attached, source).strip("\n") + "\n"
            if fence is not None:
                # What is left open here would swallow the cells that follow.
                text += fence + "\n"
            self.blocks.append(text)

    def output(self, number: int, output: dict) -> None:
        kind = output.get("output_type")
        if kind == "stream":
            self.text(number, text_of(output.get("text")))
        elif kind == "error":
            trace = output.get("traceback")
            lines = [line for line in trace if isinstance(line, str)] if isinstance(trace, list) else []
            name = text_of(output.get("ename")) or "error"
            value = text_of(output.get("evalue")) or ""
            self.text(number, text_of("\n".join(lines)) if lines else f"{name}: {value}")
        elif kind in ("execute_result", "display_data"):
            data = mapping(output.get("data"))
            path = self.image(number, data)
            if path:
                self.blocks.append(f"![Output of cell {number}](kbhost-output:{path})\n")
            elif "text/plain" in data:
                self.text(number, text_of(data["text/plain"]))
            elif data:
                kinds = ", ".join(sorted(str(kind) for kind in data)[:5])
                self.warn(number, f"an output was left out: {kinds}")
        else:
            self.warn(number, "an output is of no known kind")

    def text(self, number: int, text: str | None) -> None:
        if text is None:
            self.warn(number, "an output is no text")
            return
        if len(text) > OUTPUT_CHARS_MAX:
            self.warn(number, f"an output was cut after {OUTPUT_CHARS_MAX} characters")
            text = text[:OUTPUT_CHARS_MAX] + "\n…"
        text = CONTROL.sub("", ANSI.sub("", text))
        if text.strip():
            self.blocks.append(fenced(text, "text"))

    def image(self, number: int, data: dict) -> str | None:
        """Writes the picture among `data` unless it is there already; its path."""
        for media_type, (extension, magic) in IMAGE_TYPES.items():
            encoded = text_of(data.get(media_type))
            if encoded is None:
                continue
            if len(encoded) > IMAGE_BYTES_MAX * 3 // 2:
                self.warn(number, "a picture was left out: it is too large")
                continue
            try:
                content = base64.b64decode("".join(encoded.split()), validate=True)
            except (binascii.Error, ValueError):
                self.warn(number, "a picture was left out: it is no base64")
                continue
            if not content.startswith(magic):
                self.warn(number, f"a picture was left out: it is no {extension}")
                continue
            digest = hashlib.sha256(content).digest()
            if digest not in self.images:
                if len(self.images) == IMAGES_MAX:
                    self.warn(number, f"a picture was left out: there are {IMAGES_MAX} already")
                    return None
                path = f"images/{len(self.images) + 1:04}.{extension}"
                self.put_image(path, media_type, content)
                self.images[digest] = path
            return self.images[digest]
        return None
