"""Files that strangers send in: kind by magic bytes, read in a process of its own, kept as what came out of it.

`check` is the door, `turns` says who waits for whom, `sandbox` starts `sandboxed` and hears its answer, `keeping`
puts what may be kept into the file store.
"""
