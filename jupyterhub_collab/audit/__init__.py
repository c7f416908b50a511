"""Who changed what, when: one event for every change, written in the transaction of the change."""
