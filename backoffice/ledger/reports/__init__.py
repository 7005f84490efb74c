"""The balance sheet and the income statement."""
