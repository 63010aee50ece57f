"""A run becomes a report (`build`), and a report is rendered: a renderer sees the public report and nothing else."""
