#!/usr/bin/env python3
"""Makes the PDFs and pictures of examples/docs from examples/texts and from numbers below.

    python3 -m venv venv && venv/bin/pip install reportlab==5.1.0 pillow==13.0.0
    venv/bin/python examples/make_docs.py

The same versions give the same bytes. The Markdown, CSV, HTML and text files of examples/docs are
written by hand and stay as they are.
"""

import contextlib
import math
import random
import re
import tempfile
from pathlib import Path

import reportlab
from PIL import Image, ImageDraw, ImageFont
from reportlab import rl_config

rl_config.invariant = 1  # no time stamps, no random identifiers

from reportlab.lib import colors
from reportlab.lib.enums import TA_CENTER, TA_JUSTIFY
from reportlab.lib.pagesizes import A4, B5
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.platypus import (
    BaseDocTemplate,
    Flowable,
    Frame,
    FrameBreak,
    Image as Picture,
    KeepTogether,
    NextPageTemplate,
    PageBreak,
    PageTemplate,
    Paragraph,
    Preformatted,
    Spacer,
    Table,
    TableStyle,
)
from reportlab.platypus.tableofcontents import TableOfContents

HERE = Path(__file__).resolve().parent
TEXTS = HERE / "texts"
DOCS = HERE / "docs"
FONTS = Path(reportlab.__file__).parent / "fonts"  # Bitstream Vera: may be embedded

INK = (38, 50, 66)
TEAL = (31, 122, 128)
PALE = (158, 205, 206)
RUST = (190, 90, 50)
GREY = (205, 210, 215)


# -- pictures ---------------------------------------------------------------------------------


def font(size):
    return ImageFont.truetype(str(FONTS / "Vera.ttf"), size)


def canvas(width, height):
    image = Image.new("RGB", (width, height), "white")
    return image, ImageDraw.Draw(image)


def axes(draw, box, x_label, y_label, y_max, steps=4):
    left, top, right, bottom = box
    for step in range(steps + 1):
        y = bottom - (bottom - top) * step / steps
        draw.line((left, y, right, y), fill=GREY)
        draw.text((left - 10, y), f"{y_max * step / steps:g}", fill=INK, font=font(20), anchor="rm")
    draw.line((left, top, left, bottom, right, bottom), fill=INK, width=3)
    draw.text(((left + right) / 2, bottom + 52), x_label, fill=INK, font=font(22), anchor="mm")
    draw.text((left, top - 24), y_label, fill=INK, font=font(22), anchor="lm")


def bars(series, labels, x_label, y_label, y_max, size=(1100, 520)):
    """Stacked bars: `series` is a list of (values, colour), the lowest first."""
    image, draw = canvas(*size)
    box = (110, 60, size[0] - 30, size[1] - 90)
    axes(draw, box, x_label, y_label, y_max)
    left, top, right, bottom = box
    slot = (right - left) / len(labels)
    for at, label in enumerate(labels):
        x, y = left + slot * at + slot * 0.2, bottom
        for values, colour in series:
            height = (bottom - top) * values[at] / y_max
            if height >= 1:
                draw.rectangle((x, y - height, x + slot * 0.6, y - 1), fill=colour)
            y -= height
        centre = left + slot * (at + 0.5)
        draw.text((centre, bottom + 18), label, fill=INK, font=font(18), anchor="mm")
    return image


def scatter():
    rng = random.Random(1)
    image, draw = canvas(900, 640)
    box = (110, 60, 870, 550)
    axes(draw, box, "predicted, seconds", "measured, seconds", 5, 5)
    left, top, right, bottom = box
    draw.line((left, bottom, right, top), fill=RUST, width=3)
    for _ in range(600):
        predicted = 0.2 + 4.4 * rng.random()
        measured = predicted * (0.89 + rng.gauss(0, 0.05))
        x = left + (right - left) * predicted / 5
        y = bottom - (bottom - top) * min(measured, 5) / 5
        draw.ellipse((x - 4, y - 4, x + 4, y + 4), fill=TEAL)
    return image


def latency():
    rng = random.Random(2)
    image, draw = canvas(900, 760)
    for row, (comb, colour) in enumerate(((88, RUST), (14, TEAL))):
        top = 60 + row * 350
        box = (110, top, 870, top + 240)
        axes(draw, box, "minutes", ("fixed", "adaptive")[row] + ", milliseconds", 100)
        points = []
        for x in range(760):
            in_checkpoint = x % 95 > 72 if row == 0 else x % 190 > 60
            value = 4 + 3 * rng.random() + (comb * rng.random() if in_checkpoint else 0)
            points.append((110 + x, top + 240 - 2.4 * value))
        draw.line(points, fill=colour, width=2)
    return image


def harbour(width, height):
    """A picture with soft tones, for JPEG: evening over a harbour."""
    rng = random.Random(3)
    image = Image.new("RGB", (width, height))
    for y in range(height):
        part = y / height
        tone = (int(250 - 150 * part), int(190 - 90 * part), int(140 + 20 * part))
        ImageDraw.Draw(image).line((0, y, width, y), fill=tone)
    draw = ImageDraw.Draw(image)
    horizon = int(height * 0.62)
    draw.ellipse((width * 0.62, horizon - 160, width * 0.62 + 220, horizon + 60), fill=(255, 224, 170))
    for y in range(horizon, height):
        shade = 60 + int(40 * math.sin(y / 5.0)) // 4
        draw.line((0, y, width, y), fill=(30, shade, shade + 30))
    for at in range(7):
        x = width * (0.05 + 0.13 * at) + rng.random() * 30
        tall = height * (0.18 + 0.2 * rng.random())
        draw.rectangle((x, horizon - tall, x + 26, horizon), fill=(45, 45, 60))
        draw.line((x + 13, horizon - tall, x + 13 + tall * 0.6, horizon - tall * 0.9),
                  fill=(45, 45, 60), width=8)
    return image


def pipeline():
    image, draw = canvas(1000, 300)
    names = ("staging", "sandbox", "collector", "queue", "registry")
    for at, name in enumerate(names):
        x = 20 + at * 196
        draw.rounded_rectangle((x, 100, x + 150, 190), 14, outline=TEAL, width=5)
        draw.text((x + 75, 145), name, fill=INK, font=font(24), anchor="mm")
        if at:
            draw.line((x - 44, 145, x - 6, 145), fill=RUST, width=5)
            draw.polygon(((x - 4, 145), (x - 18, 135), (x - 18, 155)), fill=RUST)
    draw.text((500, 40), "One way in", fill=INK, font=font(30), anchor="mm")
    draw.text((500, 250), "parallel up to the queue, serial behind it", fill=INK, font=font(22), anchor="mm")
    return image


def save_png(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.quantize(64).save(path, optimize=True)


def save_jpeg(image, path):
    path.parent.mkdir(parents=True, exist_ok=True)
    image.save(path, quality=80)


def make_pictures(folder):
    """Pictures within the PDFs, into `folder`; those beside Markdown files, to their places."""
    quarters = ["Q3", "Q4", "Q1", "Q2", "Q3"]
    save_png(scatter(), folder / "paper-model.png")
    save_png(latency(), folder / "paper-latency.png")
    income = [([4.1, 4.0, 3.7, 3.5, 3.3], TEAL), ([3.4, 3.8, 4.4, 5.2, 6.1], PALE)]
    save_png(bars(income, quarters, "quarter", "million", 10), folder / "report-income.png")
    costs = [([4812, 634, 702, 211, 388, 343], TEAL)]
    kinds = ["people", "rent", "computing", "travel", "advice", "other"]
    save_png(bars(costs, kinds, "kind", "thousand", 5000), folder / "report-costs.png")
    weeks = [str(week) for week in range(27, 40)]
    unplanned = [0, 2, 0, 2, 0, 47, 6, 0, 18, 0, 9, 0, 4]
    planned = [0, 12, 0, 0, 10, 0, 0, 12, 0, 10, 0, 0, 0]
    outages = [(unplanned, RUST), (planned, PALE)]
    save_png(bars(outages, weeks, "week", "minutes", 60), folder / "report-availability.png")
    save_jpeg(harbour(1100, 900), folder / "report-cover.jpg")
    save_png(pipeline(), DOCS / "engineering/img/pipeline.png")
    days = ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
    load = [([31, 34, 33, 40, 29, 9, 7], TEAL), ([4, 2, 6, 12, 3, 1, 1], RUST)]
    save_png(bars(load, days, "day", "requests", 60, (900, 460)), DOCS / "operations/img/dashboard.png")
    save_jpeg(harbour(640, 420), DOCS / "operations/img/site two.jpg")
    notes = bars([([12, 7, 5, 3], TEAL)], ["WAL", "pages", "sync", "other"], "where", "ms", 16, (700, 400))
    save_png(notes, DOCS / "notes/2025/commit-time.png")


# -- texts ------------------------------------------------------------------------------------


def parse(name):
    """Blocks of a text: (kind, value). The little markup is described in examples/README.md."""
    blocks, meta = [], {}
    lines = iter((TEXTS / name).read_text(encoding="utf-8").splitlines())
    for line in lines:
        if not line.strip():
            continue
        if line.startswith("@"):
            key, _, value = line[1:].partition(" ")
            meta[key] = value
        elif line.startswith("```"):
            code = []
            for code_line in lines:
                if code_line.startswith("```"):
                    break
                code.append(code_line)
            blocks.append(("code", "\n".join(code)))
        elif line.startswith("!figure "):
            blocks.append(("figure", line.split(" ", 2)[1:]))
        elif line.startswith("Table: "):
            blocks.append(("caption", line[7:]))
        elif line.startswith("|"):
            row = [cell.strip() for cell in line.strip("|").split("|")]
            if blocks and blocks[-1][0] == "table":
                blocks[-1][1].append(row)
            else:
                blocks.append(("table", [row]))
        elif match := re.match(r"(#+) (.*)", line):
            blocks.append((f"h{len(match[1])}", match[2]))
        elif match := re.match(r"\[(\d)\] (.*)", line):
            blocks.append(("note", (match[1], match[2])))
        elif line.startswith("- "):
            blocks.append(("item", line[2:]))
        else:
            blocks.append(("text", line))
    return meta, blocks


def escaped(text):
    text = text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return re.sub(r"\[(\d)\]", r"<super>\1</super>", text)


class Look:
    """Fonts and sizes of one document."""

    def __init__(self, regular, bold, italic, size, leading, justify=False):
        self.bold, self.italic, self.size = bold, italic, size
        self.body = ParagraphStyle(
            "body", fontName=regular, fontSize=size, leading=leading, spaceAfter=leading * 0.5,
            alignment=TA_JUSTIFY if justify else 0,
        )
        self.small = self.vary("small", fontSize=size * 0.82, leading=leading * 0.84, spaceAfter=0)
        self.caption = self.vary("caption", fontName=italic, fontSize=size * 0.88, alignment=0)
        self.title = self.vary("title", fontName=bold, fontSize=size * 1.9, leading=leading * 1.9, alignment=TA_CENTER)
        self.centred = self.vary("centred", alignment=TA_CENTER)
        self.h2 = self.vary("h2", fontName=bold, fontSize=size * 1.35, leading=leading * 1.35,
                            spaceBefore=leading * 0.6, keepWithNext=1, alignment=0)
        self.h3 = self.vary("h3", fontName=bold, fontSize=size * 1.1, leading=leading * 1.15,
                            spaceBefore=leading * 0.3, keepWithNext=1, alignment=0)
        self.item = self.vary("item", leftIndent=size * 1.4, bulletIndent=size * 0.4,
                              spaceAfter=leading * 0.2)
        self.code = ParagraphStyle("code", fontName="Courier", fontSize=size * 0.82, leading=leading * 0.85)
        self.cell = self.vary("cell", fontSize=size * 0.84, leading=leading * 0.9, spaceAfter=0, alignment=0)
        self.head = self.vary("head", parent_style=self.cell, fontName=bold)

    def vary(self, name, parent_style=None, **changes):
        return ParagraphStyle(name, parent=parent_style or self.body, **changes)


class NoteMark(Flowable):
    """Where a footnote is referred to; the page draws its text at the foot of this column."""

    def __init__(self, number, text):
        super().__init__()
        self.number, self.text = number, text

    def wrap(self, *_):
        return 0, 0

    def draw(self):
        x, _ = self.canv.absolutePosition(0, 0)
        self.canv.notes = getattr(self.canv, "notes", []) + [(x, self.number, self.text)]


def table(rows, look, width, ruled):
    """A table over the whole width: ruled on all sides, or by three lines only."""
    longest = [max(len(row[at]) if at < len(row) else 0 for row in rows) for at in range(len(rows[0]))]
    weights = [min(max(length, 10), 34) for length in longest]
    widths = [width * weight / sum(weights) for weight in weights]
    cells = [[Paragraph(escaped(cell), look.head if at == 0 else look.cell) for cell in row]
             for at, row in enumerate(rows)]
    style = [("VALIGN", (0, 0), (-1, -1), "TOP"), ("TOPPADDING", (0, 0), (-1, -1), 2),
             ("BOTTOMPADDING", (0, 0), (-1, -1), 3)]
    if ruled:
        style += [("GRID", (0, 0), (-1, -1), 0.5, colors.grey),
                  ("BACKGROUND", (0, 0), (-1, 0), colors.HexColor("#e3eeee"))]
    else:
        style += [(f"LINE{side}", (0, row), (-1, row), 0.8, colors.black)
                  for side, row in (("ABOVE", 0), ("BELOW", 0), ("BELOW", -1))]
    return Table(cells, colWidths=widths, style=TableStyle(style), repeatRows=1)


def figure(folder, name, caption, look, width):
    path = next(folder.glob(name + ".*"))
    with Image.open(path) as image:
        height = width * image.height / image.width
    return KeepTogether([Picture(str(path), width, height), Spacer(1, 4),
                         Paragraph(escaped(caption), look.caption)])


def flow(blocks, look, width, folder, ruled, heading):
    """Turns blocks into flowables; `heading(level, text)` makes those of a heading."""
    notes = dict(value for kind, value in blocks if kind == "note")
    story, caption, tables = [], None, 0
    for kind, value in blocks:
        if kind in ("h2", "h3"):
            story += heading(int(kind[1]), value)
        elif kind == "text":
            boxed = value.startswith(("Note: ", "Warning: "))
            paragraph = Paragraph(escaped(value), look.body)
            if boxed:
                shade = colors.HexColor("#fbeee6" if value.startswith("W") else "#eef4f4")
                paragraph = Table([[paragraph]], colWidths=[width],
                                  style=[("BACKGROUND", (0, 0), (-1, -1), shade)])
            story += [paragraph, Spacer(1, 6)] if boxed else [paragraph]
            story += [NoteMark(n, notes[n]) for n in re.findall(r"\[(\d)\]", value)]
        elif kind == "item":
            story.append(Paragraph(escaped(value), look.item, bulletText="\u2022"))
        elif kind == "code":
            box = Table([[Preformatted(value, look.code)]], colWidths=[width],
                        style=[("BACKGROUND", (0, 0), (-1, -1), colors.HexColor("#f3f3f0"))])
            story += [box, Spacer(1, 8)]
        elif kind == "caption":
            tables += 1
            caption = Paragraph(escaped(f"Table {tables}: {value}"), look.caption)
        elif kind == "table":
            made = table(value, look, width, ruled)
            story += [KeepTogether([caption, made])] if caption else [made]
            story.append(Spacer(1, look.size))
            caption = None
        elif kind == "figure":
            story += [figure(folder, *value, look, width), Spacer(1, look.size)]
    return story


# -- the three documents ----------------------------------------------------------------------


def make_paper(folder, path):
    meta, blocks = parse("paper.txt")
    title = blocks[0][1]
    look = Look("Times-Roman", "Times-Bold", "Times-Italic", 11.5, 15.6, justify=True)
    margin, gap, foot = 18 * mm, 7 * mm, 17 * mm
    width = (A4[0] - 2 * margin - gap) / 2
    note_room = 52

    def columns(height):
        return [Frame(margin + at * (width + gap), foot + note_room, width, height, 0, 0, 0, 0)
                for at in (0, 1)]

    def page_end(canv, doc):
        canv.saveState()
        canv.setFont("Times-Roman", 9)
        canv.drawCentredString(A4[0] / 2, 10 * mm, str(doc.page))
        if doc.page > 1:
            head = "Falkenrath and Oduya" if doc.page % 2 == 0 else "Adaptive Checkpoint Scheduling"
            canv.drawCentredString(A4[0] / 2, A4[1] - 12 * mm, head)
        for x, number, text in getattr(canv, "notes", []):
            note = Paragraph(f"<super>{number}</super> {escaped(text)}", look.small)
            _, height = note.wrap(width, note_room)
            canv.line(x, foot + height + 4, x + width / 3, foot + height + 4)
            note.drawOn(canv, x, foot)
        canv.notes = []
        canv.restoreState()

    top = 116
    body = A4[1] - foot - note_room - 18 * mm
    doc = BaseDocTemplate(str(path), pagesize=A4, title=title, author=meta["author"])
    first = [Frame(margin, A4[1] - 18 * mm - top, A4[0] - 2 * margin, top, 0, 0, 0, 0)]
    doc.addPageTemplates([
        PageTemplate("first", first + columns(body - top), onPageEnd=page_end),
        PageTemplate("later", columns(body), onPageEnd=page_end),
    ])
    numbers = [0, 0]

    def heading(level, text):
        if text == "References":
            return [Paragraph(text, look.h2)]
        numbers[level - 2] += 1
        if level == 2:
            numbers[1] = 0
            return [Paragraph(f"{numbers[0]} {escaped(text)}", look.h2)]
        return [Paragraph(f"{numbers[0]}.{numbers[1]} {escaped(text)}", look.h3)]

    story = [Paragraph(title, look.title), Paragraph(meta["author"], look.centred),
             Paragraph(meta["affiliation"], look.centred), NextPageTemplate("later"), FrameBreak(),
             Paragraph("Abstract", look.h3), Paragraph(escaped(meta["abstract"]), look.body)]
    story += flow(blocks[1:], look, width, folder, False, heading)
    doc.build(story)


def make_report(folder, path):
    meta, blocks = parse("report.txt")
    title = blocks[0][1]
    look = Look("Vera", "VeraBd", "VeraIt", 9.5, 13)
    margin = 24 * mm
    width = A4[0] - 2 * margin

    def page_end(canv, doc):
        if doc.page == 1:
            return
        canv.setFont("Vera", 8)
        canv.drawString(margin, 12 * mm, "Harbour Data")
        canv.drawRightString(A4[0] - margin, 12 * mm, f"{title} \u2013 {doc.page}")

    doc = BaseDocTemplate(str(path), pagesize=A4, title=title, author="Harbour Data")
    frame = Frame(margin, 20 * mm, width, A4[1] - 40 * mm, 0, 0, 0, 0)
    doc.addPageTemplates([PageTemplate("page", [frame], onPageEnd=page_end)])

    def heading(level, text):
        if level == 3:
            return [Paragraph(escaped(text), look.h3)]
        return [PageBreak(), Paragraph(escaped(text), look.h2)]

    cover = next(folder.glob(meta["cover"] + ".*"))
    story = [Picture(str(cover), width, width * 0.82), Spacer(1, 40), Paragraph(title, look.title),
             Spacer(1, 12), Paragraph(meta["subtitle"], look.centred)]
    story += flow(blocks[1:], look, width, folder, True, heading)
    doc.build(story)


class Manual(BaseDocTemplate):
    """Tells the table of contents and the outline of every heading it lays out."""

    def beforeDocument(self):
        self.chapter = "Contents"

    def afterFlowable(self, flowable):
        level = {"h2": 0, "h3": 1}.get(getattr(getattr(flowable, "style", None), "name", ""))
        if level is None or not getattr(flowable, "key", None):
            return
        text = flowable.getPlainText()
        self.canv.bookmarkPage(flowable.key)
        self.canv.addOutlineEntry(text, flowable.key, level, closed=level > 0)
        self.notify("TOCEntry", (level, text, self.page, flowable.key))
        if level == 0:
            self.chapter = text


def make_manual(folder, path):
    meta, blocks = parse("manual.txt")
    title = blocks[0][1]
    look = Look("Vera", "VeraBd", "VeraIt", 10, 14.5)
    margin = 22 * mm
    width = B5[0] - 2 * margin

    def page_end(canv, doc):
        if doc.page == 1:
            return
        canv.setFont("VeraIt", 8.5)
        canv.drawString(margin, B5[1] - 14 * mm, title)
        canv.drawRightString(B5[0] - margin, B5[1] - 14 * mm, doc.chapter)
        canv.line(margin, B5[1] - 16 * mm, B5[0] - margin, B5[1] - 16 * mm)
        canv.setFont("Vera", 8.5)
        canv.drawCentredString(B5[0] / 2, 12 * mm, str(doc.page))

    doc = Manual(str(path), pagesize=B5, title=title, author=meta["publisher"], subject=meta["subtitle"])
    frame = Frame(margin, 24 * mm, width, B5[1] - 52 * mm, 0, 0, 0, 0)
    doc.addPageTemplates([PageTemplate("page", [frame], onPageEnd=page_end)])
    numbers = [0, 0]

    def heading(level, text):
        if text.startswith("Appendix"):
            numbers[:] = [text[9], 0]
            label = text
        elif level == 2:
            numbers[:] = [numbers[0] + 1, 0]
            label = f"{numbers[0]} {text}"
        else:
            numbers[1] += 1
            label = f"{numbers[0]}.{numbers[1]} {text}"
        paragraph = Paragraph(escaped(label), look.h2 if level == 2 else look.h3)
        paragraph.key = f"section-{numbers[0]}-{numbers[1]}"
        return [PageBreak(), paragraph] if level == 2 else [paragraph]

    contents = TableOfContents(levelStyles=[
        look.vary("toc1", fontName=look.bold, spaceBefore=4, spaceAfter=1),
        look.vary("toc2", leftIndent=14, spaceAfter=0, fontSize=9, leading=12),
    ])
    story = [Spacer(1, 200), Paragraph(title, look.title), Spacer(1, 20),
             Paragraph(meta["subtitle"], look.centred), Paragraph(meta["publisher"], look.centred),
             PageBreak(), Paragraph("Contents", look.vary("contents", look.h2)), contents]
    story += flow(blocks[1:], look, width, folder, True, heading)
    doc.multiBuild(story)


def main():
    for name in ("Vera", "VeraBd", "VeraIt"):
        pdfmetrics.registerFont(TTFont(name, str(FONTS / f"{name}.ttf")))
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        folder = Path()  # the names of pictures go into the PDF: relative ones are always the same
        make_pictures(folder)
        for make, path in ((make_paper, "papers/adaptive-checkpoints.pdf"),
                           (make_report, "reports/harbour-data-q3.pdf"),
                           (make_manual, "manuals/tidegate-operator-manual.pdf")):
            path = DOCS / path
            path.parent.mkdir(parents=True, exist_ok=True)
            make(folder, path)


if __name__ == "__main__":
    main()
