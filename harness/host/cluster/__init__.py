"""Grades on a Dask cluster: workers run sandboxes, and all that needs the reference stays on this host.

Labels, the key of the split and the scoring are here. A worker is sent an assignment's rows and a plan of
what to do for a submission, as bytes, and answers with predictions
(docs/decisions/0015-work-travels-labels-stay.md).
`cluster` is the way in, `dispatch` decides what is sent and scores what comes back, `session` and `plugins`
speak with Dask, `workshop` does the work on a worker, and `addresses` starts clusters or finds them.
"""

from harness.host.cluster.cluster import Cluster
from harness.host.cluster.dispatch import Done, Task

__all__ = ["Cluster", "Done", "Task"]
