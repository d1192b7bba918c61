"""An argument parser whose mistakes are one line each, with the nearest option there is."""

from __future__ import annotations

import argparse
import difflib
import sys
from typing import NoReturn

from workbench.errors import unknown


class Parser(argparse.ArgumentParser):
    """Prints no usage before an error: ``--help`` shows it to those who ask. Its exit code for one is 2."""

    def parse_known_args(self, args=None, namespace=None):
        """Parse, and refuse what isn't known here, where this command's own options are at hand."""
        chosen, others = super().parse_known_args(args, namespace)
        if others:
            self.error(self._unknown(others))
        return chosen, others

    def error(self, message: str) -> NoReturn:
        """End the program with one line on stderr."""
        print(f"workbench: {message}; see {self.prog} --help", file=sys.stderr)
        sys.exit(2)

    def _check_value(self, action, value):
        """Refuse what is none of an argument's choices with the nearest of them; argparse would list them all."""
        if action.choices is not None and value not in action.choices:
            self.error(unknown((action.metavar or action.dest).lower(), value, action.choices))

    def _unknown(self, arguments: list[str]) -> str:
        option = next((argument for argument in arguments if argument.startswith("-")), None)
        if option is None:
            return f"{arguments[0]!r} is one argument too many"
        name = option.partition("=")[0]
        near = difflib.get_close_matches(name, self._option_string_actions, n=1)
        return f"option {name} is not known" + (f"; did you mean {near[0]}?" if near else "")
