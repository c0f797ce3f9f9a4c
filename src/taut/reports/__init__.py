"""Pages made from run folders: `write_report` for one run, `write_comparison` and
`write_task_comparison` for several, `write_evaluation` for a full evaluation.

This room reads files and writes files; it knows nothing of models or data sets. matplotlib and jinja2 are used here
alone. Each task has a sub-package: what its files hold, its pictures, its page.
"""

from taut.reports.classification.comparison import labels, write_comparison
from taut.reports.comparison.cells import comparison_cells, comparison_markdown
from taut.reports.comparison.page import write_task_comparison
from taut.reports.evaluation.page import write_evaluation
from taut.reports.report import write_report
from taut.reports.wasserstein_table.markdown import markdown_table

__all__ = [
    "comparison_cells",
    "comparison_markdown",
    "labels",
    "markdown_table",
    "write_comparison",
    "write_evaluation",
    "write_report",
    "write_task_comparison",
]
