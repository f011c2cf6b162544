"""What may be asked: one module per stream, every command an explicit, checked dataclass."""

from domain.commands import account, case, dealer, party, rulebook
from domain.commands.asking import COMMANDS, Asked, Command, Draft

__all__ = ["COMMANDS", "Asked", "Command", "Draft", "account", "case", "dealer", "party", "rulebook"]
