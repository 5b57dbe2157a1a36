"""Spooled temporary files stay in memory, as there is no directory for temporary files unless one was given."""

import tempfile


def install():
    rollover = tempfile.SpooledTemporaryFile.rollover

    def rollover_if_there_is_a_directory(self):
        try:
            rollover(self)
        except OSError:
            # Asked again at every write otherwise.
            self._max_size = 0

    tempfile.SpooledTemporaryFile.rollover = rollover_if_there_is_a_directory
