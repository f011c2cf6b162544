"""Policies: what the calendar makes due, from a state, the day and the rules in force, and nothing else.

`service` names what happens to a service and its packages, `billing` what is charged and levied, `reminders`
what the customer has to be told, `standing` the blacklist, `promises` a case's. `due` has what they may name.
The close of a real day asks for what they name (`domain.closing`); the counterfactual walks the calendar with
the same functions. No policy reads a clock or keeps anything.
"""
