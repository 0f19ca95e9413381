"""The questions of the exams: of each chapter the words in TOML, the numbers in Python.

[bound-of-a-table] in `chapter_01.toml` belongs to `bound_of_a_table(rng)` in `chapter_01.py`. The
function draws numbers that a pocket calculator can take, computes the answers with the functions
of the course, and returns both as `Numbers`; or None, for a draw that is unfit. A question without
numbers has no function. What it asks in words stands in three variants, [[bound-of-a-table.words]];
which fields there are makes one of four kinds of it (`kinds.py`).

A placeholder in the words shows a number, as in `{theta:g}`, or an array:

    {x:list}    1, 2.5       {x:vector}  (1, 2.5)     {W:matrix}  [1, 2; 3, 4]
    {r:many}    0.1000, 0.2500, with four decimals    {z:row}     0 | 1, as in a table

A brace that is no placeholder is written twice. Single line breaks are spaces, but in a table.
"""

from lfm.checks.questions.drawing import Numbers
from lfm.checks.questions.words import filled

__all__ = ["Numbers", "filled"]
