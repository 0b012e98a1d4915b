"""Counts from real software: what a hypervisor, its guests and their maintenance did in one run.

`pocwatch run --events FILE` records a machine and `read` reads it; `counted` says how often what
happened, `ram` what guest RAM was, `replay` what each policy of `pocwatch check` would have done.
"""

from pocwatch.cost.recording.errors import RecordingError as RecordingError
from pocwatch.cost.recording.reader import Recording as Recording
from pocwatch.cost.recording.reader import read as read
