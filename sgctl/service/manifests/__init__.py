"""Manifests, the policy as YAML documents: computes a plan from them, and exports the policy as manifests."""

from sgctl.service.manifests.documents import Document, documents
from sgctl.service.manifests.export import manifest, to_yaml
from sgctl.service.manifests.files import read_files
from sgctl.service.manifests.planner import plan
from sgctl.service.manifests.pruning import Bounds

__all__ = ["Bounds", "Document", "documents", "manifest", "plan", "read_files", "to_yaml"]
