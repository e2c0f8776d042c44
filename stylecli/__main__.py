"""The ``stylize`` command: runs it and turns every ending into an exit code and at most one line."""

from __future__ import annotations

import errno
import gc
import os
import re
import sys
from collections.abc import Sequence
from contextlib import suppress

from stylecli import threads


def main() -> None:
    """Entry point of the ``stylize`` script."""
    # A tenth of the time of one picture went into looking for garbage among the modules of torch, which stay.
    gc.set_threshold(100_000, 10, 10)
    _replace_closed_streams()
    threads.prepare()
    code = _run(sys.argv[1:])
    try:
        sys.stdout.flush()
    except BrokenPipeError:  # `stylize ... | head`
        pass
    except OSError as error:
        code = code or _fail(f"stdout: {error.strerror}", 1)
    with suppress(OSError):  # `2>&1 | head`
        sys.stderr.flush()
    # An ordinary exit takes all these modules apart first, for half a second. Nothing of ours is left to do then:
    # threads are joined, files closed and temporary folders removed by whoever began them.
    os._exit(code)


def _replace_closed_streams() -> None:
    """Give streams that the caller has closed (``2>&-``) something to stand for.

    Otherwise the next file that is opened gets the stream's number, and what libraries say to stderr is written into
    it. Nothing comes from such a stdin, nothing can be written to such a stdout, and what goes to stderr is lost.
    """
    modes = ((os.O_RDONLY, "r"), (os.O_RDONLY, "w"), (os.O_WRONLY, "w"))
    for number, (name, (flags, mode)) in enumerate(zip(("stdin", "stdout", "stderr"), modes, strict=True)):
        if getattr(sys, name) is not None:
            continue
        try:
            os.fstat(number)
        except OSError:
            nothing = os.open(os.devnull, flags)
            if nothing != number:
                os.dup2(nothing, number)
                os.close(nothing)
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace"))  # noqa: PTH123, SIM115
        else:  # Python itself has put a file there
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


def _run(arguments: Sequence[str]) -> int:
    from stylecli.errors import StylizeError

    try:
        from stylecli.cli.app import command

        # standalone_mode=False: errors come back here as exceptions instead of being drawn as boxes.
        result = command().main(
            args=list(arguments) or ["--help"], prog_name="stylize", standalone_mode=False
        )
        return result if isinstance(result, int) else 0
    except StylizeError as error:
        return _fail(f"{error}{_hint(arguments, str(error))}", error.exit_code, arguments)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        return 1
    except Exception as error:
        return _usage_or_bug(error, arguments)


def _usage_or_bug(error: Exception, arguments: Sequence[str]) -> int:
    # Recognised by its method: the class lives in click or, since Typer 0.26, in Typer's own copy of it.
    describe = getattr(error, "format_message", None)
    if describe is not None:
        if type(error).__name__ == "NoArgsIsHelpError":  # a group without a command, such as `stylize train`
            from stylecli.console import print_block

            print_block(describe())
            return 2
        context = getattr(error, "ctx", None)
        where = f" (see {context.command_path} --help)" if context is not None else ""
        said = _named(arguments, " ".join(describe().split()).rstrip(".").replace("Value error, ", ""))
        return _fail(f"{said}{_hint(arguments, said)}{where}", getattr(error, "exit_code", 2), arguments)
    if type(error).__name__ == "Abort":  # Typer's word for the end of input or Ctrl-C at a question
        return 130
    if isinstance(error, OSError) and error.errno == errno.ENOSPC:  # `stylize --help > /dev/full`
        return _fail(f"cannot write: {error.strerror}; make room and run it again", 1, arguments)
    from stylecli.console import stdout_is_open

    if isinstance(error, OSError) and error.errno in (errno.EBADF, errno.EIO) and not stdout_is_open():
        return _fail("stdout is closed: nothing can be written there", 1, arguments)
    if _wants_traceback(arguments):
        import traceback

        from stylecli.console import print_block

        print_block(traceback.format_exc())
    from stylecli.errors import is_out_of_memory
    from stylecli.memory import free_memory

    # With hardly any left, libraries fail in ways of their own, some while they are imported.
    if is_out_of_memory(error) or free_memory() < 32 << 20:
        return _fail("not enough memory", 4, arguments)
    return _fail(
        f"unexpected {type(error).__name__}: {error} (a bug in stylize; -v or STYLIZE_DEBUG=1 shows where)",
        1,
        arguments,
    )


def _hint(arguments: Sequence[str], message: str) -> str:
    try:
        from stylecli.cli.hints import hint

        return hint(arguments, message)
    except Exception:  # a hint is worth no second error
        return ""


def _named(arguments: Sequence[str], message: str) -> str:
    try:
        from stylecli.cli.hints import named

        return named(arguments, message)
    except Exception:  # as with hints
        return message


def _fail(message: object, code: int, arguments: Sequence[str] = ()) -> int:
    from stylecli.console import print_error, print_json

    print_error(message)
    if "--json" in arguments:
        with suppress(OSError, ValueError):
            print_json({"event": "error", "message": str(message), "exit_code": code})
    return code


def _wants_traceback(arguments: Sequence[str]) -> bool:
    """Asked of the raw arguments: the bug may have struck before they were parsed."""
    if os.environ.get("STYLIZE_DEBUG", "") not in ("", "0"):
        return True
    return any(word == "--verbose" or re.fullmatch(r"-[a-z]*v[a-z]*", word) for word in arguments)


if __name__ == "__main__":
    main()
