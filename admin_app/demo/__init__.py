"""A made-up support desk to try Backdesk with: people, two thousand tickets of a year, and what became of them.

`build()` fills an empty desk, `accounts()` gives the four accounts their passwords, `new_passwords()` replaces them.
The texts are in `texts/`; everything is invented, and e-mail addresses are at domains reserved for examples.
"""

from admin_app.demo.accounts import Account, accounts, new_passwords
from admin_app.demo.build import build, is_empty

__all__ = ["Account", "accounts", "build", "is_empty", "new_passwords"]
