"""Tests, intervals and their defined answers for awkward input; numpy and scipy.

Every function either gives its number or says why there is none (`reason`): never a warning and a number. Nothing
draws from a global generator, and no answer depends on the order in which seeds are listed.
"""
