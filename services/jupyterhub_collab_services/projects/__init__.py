"""The projects service: the pages and the JSON API in which people run their projects."""
