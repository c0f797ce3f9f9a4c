"""The page of a full evaluation of a classifier: RUN/evaluation/report.html, from the files beside it."""
