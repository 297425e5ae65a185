"""Runs natively, with the standard library only: `python3 -m unittest discover tests`."""

import json
import pathlib
import random
import sys
import unittest

FOLDER = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(FOLDER / "app"))

import notebook  # noqa: E402


def converted(data):
    images = {}
    page = notebook.convert(
        data if isinstance(data, bytes) else json.dumps(data).encode(),
        lambda path, media_type, content: images.__setitem__(path, content),
        lambda done, total: None,
    )
    return page, images


def of_cells(*cells):
    return converted({"nbformat": 4, "cells": list(cells)})


class NotebookTest(unittest.TestCase):
    def test_golden(self):
        page, images = converted((FOLDER / "examples" / "tides.ipynb").read_bytes())
        expected = (FOLDER / "tests" / "golden" / "tides.md").read_text(encoding="utf-8")
        self.assertEqual(page.markdown, expected)
        self.assertEqual(page.title, "Tides of the harbour")
        self.assertEqual(page.outline, [(1, "Tides of the harbour"), (2, "A day"), (2, "What is wrong")])
        self.assertEqual(list(images), ["images/0001.png"])
        self.assertEqual(page.warnings, ["cell 4: an output was left out: text/html"])

    def test_broken_wholes_are_errors(self):
        for data, error in [
            (b"", notebook.Corrupt),
            (b"nul", notebook.Corrupt),
            (b"[1, 2]", notebook.Corrupt),
            (b"{}", notebook.Corrupt),
            (b'{"cells": 7}', notebook.Corrupt),
            (b"\xff\xfe\x00", notebook.Corrupt),
            (b'{"nbformat": 3, "worksheets": []}', notebook.Unsupported),
            (b"[" * 1_000_000, notebook.Corrupt),
            (b'{"cells": ' * 101 + b"1" + b"}" * 101, notebook.Corrupt),
            (json.dumps({"cells": [1] * 20_001}).encode(), notebook.TooLarge),
        ]:
            with self.subTest(data[:40]), self.assertRaises(error):
                converted(data)

    def test_brackets_in_strings_are_no_depth(self):
        page, _ = of_cells({"cell_type": "raw", "source": '[{"\\' * 200})
        self.assertIn("[{", page.markdown)

    def test_wrong_types_cost_a_warning(self):
        values = [None, True, 1, 1.5, "x", [], {}, [1], {"a": 1}, [["x"]], "\ud800"]
        for value in values:
            cells = [value] + [
                {**cell, key: value}
                for cell in (
                    {"cell_type": "code", "source": "x", "outputs": []},
                    {"cell_type": "markdown", "source": "![](attachment:a)", "attachments": {"a": value}},
                )
                for key in ("cell_type", "source", "outputs", "attachments", "metadata")
            ]
            outputs = [value, {"output_type": value}] + [
                {"output_type": kind, key: value}
                for kind in ("stream", "error", "display_data", "execute_result")
                for key in ("text", "traceback", "ename", "data")
            ] + [{"output_type": "display_data", "data": {"image/png": value, "text/plain": value}}]
            cells.append({"cell_type": "code", "source": "x", "outputs": outputs})
            page, images = converted({"cells": cells, "metadata": {"kernelspec": value, "title": value}})
            self.assertEqual(images, {})
            page.markdown.encode("utf-8")
            self.assertLessEqual(len(page.warnings), notebook.WARNINGS_MAX + 1)

    def test_fences_hold(self):
        page, _ = of_cells(
            {"cell_type": "markdown", "source": "```\nopen"},
            {"cell_type": "code", "source": "x = '''\n````\n'''", "outputs": []},
        )
        self.assertEqual(page.markdown, "```\nopen\n```\n\n`````\nx = '''\n````\n'''\n`````\n")
        self.assertEqual(page.outline, [])

    def test_terminal_colours_go(self):
        output = {"output_type": "error", "traceback": ["\x1b[0;31mValueError\x1b[0m: \x1b]0;x\x07no"]}
        page, _ = of_cells({"cell_type": "code", "source": "", "outputs": [output]})
        self.assertEqual(page.markdown, "```text\nValueError: no\n```\n")

    def test_pictures_are_told_by_their_bytes_and_kept_once(self):
        png = "iVBORw0KGgo="
        outputs = [
            {"output_type": "display_data", "data": {"image/png": data}}
            for data in (png, [png[:4] + "\n", png[4:]], "PHN2Zz4=", "%%%", "é")
        ]
        page, images = of_cells({"cell_type": "code", "source": "", "outputs": outputs})
        self.assertEqual(list(images), ["images/0001.png"])
        self.assertEqual(page.markdown.count("kbhost-output:images/0001.png"), 2)
        self.assertEqual(len(page.warnings), 6, page.warnings)

    def test_mutated_notebooks_never_end_it(self):
        seed = (FOLDER / "examples" / "tides.ipynb").read_bytes()
        rng = random.Random(7)
        for _ in range(500):
            data = bytearray(seed)
            for _ in range(rng.randint(1, 8)):
                at = rng.randrange(len(data))
                data[at : at + rng.randrange(4)] = rng.choice([b"", b'"', b"{", b"]", b"\\", b"\xff", b"null"])
            try:
                converted(bytes(data))
            except notebook.NotebookError:
                pass

    def test_probe(self):
        for head, name, expected in [
            (b'{"cells": [', "x", 95),
            (b'\xef\xbb\xbf{\n "nbformat": 4', "x.ipynb", 95),
            (b"{}", "x.IPYNB", 70),
            (b"{}", "x.json", 5),
            (b"# Text", "x.ipynb", 0),
            (b"", "x.ipynb", 0),
        ]:
            self.assertEqual(notebook.probe(head, name), expected, head)


if __name__ == "__main__":
    unittest.main()
