"""Run by hand, never by the suite: how long something takes says nothing on a busy machine."""
