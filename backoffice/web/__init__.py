"""The building blocks of every screen: forms, formats, paging, conflicts."""
