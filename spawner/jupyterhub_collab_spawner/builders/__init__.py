"""Pure functions from a server plan to what the engine takes; nothing here touches a disk, a process or a cluster."""
