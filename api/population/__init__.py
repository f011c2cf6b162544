"""Made populations: histories of an operator's customers, lawful but for what is planted, which is known to the event.

A life is written as events at once, by code that knows the rules (`living`, and a module for each side of it):
asking the domain for every step would take a thousand times as long. That it is lawful is not believed but
checked: `checking` asks the domain's findings about every subject and holds them against what was planted
(`breaches`). Each life has a chance of its own, made of the seed and its number, so that no clock, no hash order
and no other life moves a byte of it, and no more than one is in memory. Nothing is left open at the last day: no
year ends later than a month before it, and whatever has a deadline is done. So the findings are the same as known
then and at any later time.
"""
