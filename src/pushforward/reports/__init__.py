"""Reports: one self-contained HTML page with numbers and pictures of what was trained.

What is on a page is put together by whoever has something to tell: sections of tables and pictures. The page itself,
the tables and the curves that reports share are here.
"""

from pushforward.reports.curves import training_curve
from pushforward.reports.marginals import marginal_table, share_table
from pushforward.reports.page import Picture, Report, Section, Table
from pushforward.reports.worst import unlikely_rows

__all__ = ["Picture", "Report", "Section", "Table", "marginal_table", "share_table", "training_curve", "unlikely_rows"]
