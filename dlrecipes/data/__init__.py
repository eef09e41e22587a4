"""Data that recipes share: generators, readers of files and folders, text encoding."""
