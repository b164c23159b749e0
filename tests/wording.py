"""What this interpreter says of a mistake. Its words differ from version to version: no test knows them by heart."""

from __future__ import annotations


def words(code: str, **names: object) -> str:
    """The text of the exception that this code raises; of a SyntaxError, what is wrong with it."""
    try:
        exec(compile(code, "mistake", "exec"), dict[str, object](names))
    except SyntaxError as error:
        return str(error.msg)
    except Exception as error:  # noqa: BLE001 - whatever it raises is what is asked for
        return str(error)
    raise AssertionError(f"nothing is wrong with {code!r}")
