"""Blob stores: write-once bytes by SHA-256, on local disks and in S3 buckets with Object Lock, and copies over several.

The contract is :class:`evidence.ports.BlobStore`; tests/contract/test_blob_store.py proves it for every implementation.
On-disk form: docs/formats/store.md.
"""
