"""Who is mistaken for whom: genuine and impostor pairs."""

from causalbias.analyses.identity.analysis import Identity, analyse_identity, require_groups
from causalbias.analyses.identity.report import identity_content
from causalbias.analyses.protocol import Analysis

IDENTITY: Analysis[Identity] = Analysis(
    name="identity",
    description="What race changes, by gender, in how alike two faces of one person, or of two "
    "persons, are to networks and to people.",
    require=require_groups,
    run=analyse_identity,
    content=identity_content,
)
