"""From the lanes to the disk: the recorder and its process."""
