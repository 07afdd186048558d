"""The loop inside a shell that is fed by lines: each message is run where the one before left off.

It is the last word of the configured shell (`manage.py shell -c`), after two file descriptors: what
is typed comes in by one as JSON lines, `done` goes out by the other once a message has been run.
"""

from __future__ import annotations

LOOP = """
def packlead_loop(heard, told, names):
    import ast, json, os, signal, sys, traceback

    heard, told = os.fdopen(heard), os.fdopen(told, "w")
    sys.stdin = open(os.devnull)
    busy = []

    def interrupted(*_):
        if busy:
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupted)

    def answer(text):
        try:
            busy.append(True)
            for node in ast.parse(text, "<typed>").body:
                exec(compile(ast.Interactive([node]), "<typed>", "single"), names)
        except SystemExit:
            return "exit"
        except BaseException as error:
            busy.clear()
            unread = isinstance(error, SyntaxError) and error.filename == "<typed>"
            frames = None if unread else error.__traceback__.tb_next
            traceback.print_exception(type(error), error, frames)
        finally:
            busy.clear()
        return "done"

    said = "ready"
    while said != "exit":
        sys.stdout.flush()
        sys.stderr.flush()
        told.write(said + "\\n")
        told.flush()
        line = heard.readline()
        said = answer(json.loads(line)) if line else "exit"


packlead_loop(%d, %d, {k: v for k, v in globals().items() if k != "packlead_loop"})
"""
