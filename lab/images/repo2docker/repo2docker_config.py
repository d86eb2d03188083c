# Only what works without the internet: other providers, Dataverse's for one, ask a list on it before every build.
from repo2docker import contentproviders

c.Repo2Docker.content_providers = [contentproviders.Local, contentproviders.Git]  # noqa: F821
