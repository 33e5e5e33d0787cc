"""The traceback of an exception in a user's code, without our frames that lead to it."""

from __future__ import annotations

import os
import traceback

# horus_core, from wherever in it a node is called
_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


def own_traceback(problem: BaseException) -> str:
    """The traceback of a user's exception, without the frames of this package that lead to it."""
    frame, ours = problem.__traceback__, _PACKAGE
    while frame is not None and frame.tb_frame.f_code.co_filename.startswith(ours):
        frame = frame.tb_next
    # Without any other frame the fault is ours, or what the user gave cannot be called: then all of them tell.
    return "".join(traceback.format_exception(type(problem), problem, frame or problem.__traceback__)).rstrip()
