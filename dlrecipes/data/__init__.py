"""Sources of data that recipes share: generators, folder readers, text encoding."""
