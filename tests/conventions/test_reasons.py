"""Who asks why before something is done leaves the rest to `portal.web.ui.actions`."""

from __future__ import annotations

import ast
import inspect
import sys
from types import ModuleType

from flask import Flask

from portal.web.ui.reason_form import ReasonForm

# A form with a reason that is not read by the scaffold, and why.
BY_THEMSELVES = {
    "show_requisite_number": "answers with the number, which no other page may hold",
    "_proposing": "a proposal is looked at before it is made, and leads to the request",
}


def reads_a_reason(function: ast.FunctionDef, module: ModuleType) -> bool:
    for call in ast.walk(function):
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name):
            form = vars(module).get(call.func.id)
            if isinstance(form, type) and issubclass(form, ReasonForm) and call.args:
                return ast.unparse(call.args[0]) == "request.form"
    return False


def test_who_asks_why_leaves_the_rest_to_the_scaffold(app: Flask) -> None:
    """Five copies of it disagreed on what is kept of a form, on blank reasons and on what a refusal says."""
    alone = set()
    for name, module in list(sys.modules.items()):
        if name.startswith("portal.web."):
            for function in ast.parse(inspect.getsource(module)).body:
                if isinstance(function, ast.FunctionDef) and reads_a_reason(function, module):
                    calls = {
                        ast.unparse(node.func) for node in ast.walk(function) if isinstance(node, ast.Call)
                    }
                    alone |= {function.name} - ({function.name} if "carry_out" in calls else set())
    assert alone == BY_THEMSELVES.keys()
