"""The component: what the host calls, in terms of the contract.

Nothing here reads a notebook: `notebook` does, and knows nothing of components.
"""

import os

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import job
from wit_world.imports.types import (
    AcceptedType,
    AssetReference,
    ConvertError_Cancelled,
    ConvertError_Corrupt,
    ConvertError_Internal,
    ConvertError_TooLarge,
    ConvertError_Unsupported,
    Description,
    Document,
    Heading,
    OutputFile,
    Request,
    Role,
    Source_File,
)

import notebook

# Parsed notebooks take several times their length.
INPUT_BYTES_MAX = 48 << 20

ERRORS = {
    notebook.Corrupt: ConvertError_Corrupt,
    notebook.TooLarge: ConvertError_TooLarge,
    notebook.Unsupported: ConvertError_Unsupported,
}


class Converter(exports.Converter):
    def describe(self) -> Description:
        return Description(
            name="ipynb-python",
            version="0.1.0",
            accepts=[AcceptedType("application/x-ipynb+json", ["ipynb"])],
        )

    def probe(self, head: bytes, name: str) -> int:
        return notebook.probe(head, name)

    def assets(self, request: Request) -> list[AssetReference]:
        return []

    def convert(self, request: Request) -> Document:
        # What leaves this function in any other way than as `Err` is a trap: the host would say that
        # the plugin crashed, and not why.
        try:
            return self.converted(request)
        except Err:
            raise
        except notebook.NotebookError as error:
            raise Err(ERRORS[type(error)](str(error)))
        except MemoryError:
            raise Err(ConvertError_TooLarge("the notebook does not fit into memory"))
        except RecursionError:
            raise Err(ConvertError_Corrupt("the JSON is nested too deeply"))
        except Exception as error:
            raise Err(ConvertError_Internal(f"{type(error).__name__}: {error}"))

    def converted(self, request: Request) -> Document:
        if not isinstance(request.source, Source_File):
            raise Err(ConvertError_Unsupported("a document of a remote service"))
        with open(request.input, "rb") as file:
            data = file.read(INPUT_BYTES_MAX + 1)
        if len(data) > INPUT_BYTES_MAX:
            raise Err(ConvertError_TooLarge(f"the notebook has more than {INPUT_BYTES_MAX} bytes"))

        files = [OutputFile("main.md", Role.MAIN, "text/markdown", None)]

        def put_image(path: str, media_type: str, content: bytes) -> None:
            full = os.path.join(request.output, path)
            os.makedirs(os.path.dirname(full), exist_ok=True)
            with open(full, "wb") as file:
                file.write(content)
            files.append(OutputFile(path, Role.IMAGE, media_type, None))

        def go_on(done: int, total: int) -> None:
            job.progress(done, total, "cells")
            if job.cancelled():
                raise Err(ConvertError_Cancelled())

        page = notebook.convert(data, put_image, go_on)
        with open(os.path.join(request.output, "main.md"), "w", encoding="utf-8", newline="\n") as file:
            file.write(page.markdown)
        return Document(
            files=files,
            title=page.title,
            name=None,
            remote_id=None,
            pages=None,
            outline=[Heading(level, title, None) for level, title in page.outline],
            metadata=page.metadata,
            warnings=page.warnings,
        )
