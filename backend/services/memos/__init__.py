"""The deal memo: issued when both sides have approved, printed as a PDF, verified by anyone who has its digest.

`issuing` says what a memo states and writes it once and for all; `printing` sets it, with what became of the deal;
`verifying` knows which digests were issued.
"""

from backend.services.memos.issuing import issue
from backend.services.memos.printing import Memo, find, render
from backend.services.memos.verifying import keep_file, verify

__all__ = ["Memo", "find", "issue", "keep_file", "render", "verify"]
