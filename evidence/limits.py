"""Every bound in the system, with its reason. A limit met is an error of ours (`LimitExceededError`), never a crash."""

from __future__ import annotations

from typing import Final

#: One custody entry: C2SP tlog-tiles frames entries with a 16-bit length.
ENTRY_BYTES_MAX: Final = 65_535
#: Entries the sealer takes at once: one full tile, so that a busy log writes full tiles.
SEAL_BATCH_MAX: Final = 256
#: A sealer cycle: an entry is covered by a published checkpoint about a second after it is durable.
SEAL_INTERVAL_S: Final = 1.0
#: One read from a device: some recorders' firmware crashes on larger MTP partial reads.
DEVICE_READ_BYTES: Final = 1 << 20
#: Buffers between reader, digests and writer: 6 x 4 MiB bounds the memory of one offload to 24 MiB.
PIPE_BUFFER_BYTES: Final = 4 << 20
PIPE_BUFFERS: Final = 6
#: Dirty pages kept behind the writer before they are pushed out, so that 32 docks do not flush the page cache.
WRITE_BEHIND_BYTES: Final = 64 << 20
#: Names come from hostile media; 255 bytes is what FAT, exFAT and ext4 can hold.
SOURCE_NAME_BYTES_MAX: Final = 255
SOURCE_PATH_BYTES_MAX: Final = 4096
#: Directory depth and number of files of one recorder; more is a loop or an attack. What lies deeper is never dropped quietly:
#: the docking is incomplete, and the recorder is not cleared.
SOURCE_DEPTH_MAX: Final = 64
SOURCE_FILES_MAX: Final = 200_000
#: Largest recording accepted: exFAT recorders write hours in one file; 1 TiB is far above any card in the field.
RECORDING_BYTES_MAX: Final = 1 << 40
#: Text that a person types (reasons, remarks).
TEXT_CHARS_MAX: Final = 4_000
#: One page of a list; a search count above the cap is shown as "more than".
PAGE_ROWS_MAX: Final = 200
COUNT_CAP: Final = 10_000
#: Output kept from a sandboxed program.
SANDBOX_OUTPUT_BYTES_MAX: Final = 4 << 20
#: Free space below which intake stops cleanly: room for the database, the log and one long recording's tail.
FREE_SPACE_FLOOR_BYTES: Final = 512 << 20
#: Clock readings of a recorder outside this span are shown as implausible and never make footage due (promise 9).
CLOCK_YEAR_MIN: Final = 2010
CLOCK_AHEAD_S_MAX: Final = 86_400
