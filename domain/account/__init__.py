"""An account: one service contract and its money. State, figures, view, and what may be decided."""

from domain.account.money import Figures, figures, late_fee_fen
from domain.account.state import Account, fold
from domain.account.view import account_view

__all__ = ["Account", "Figures", "account_view", "figures", "fold", "late_fee_fen"]
