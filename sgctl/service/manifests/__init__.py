"""Policy as files: YAML documents in, a plan out, and the policy as documents again."""

from sgctl.service.manifests.documents import Document, documents
from sgctl.service.manifests.export import manifest, to_yaml
from sgctl.service.manifests.files import read_files
from sgctl.service.manifests.planner import plan
from sgctl.service.manifests.pruning import Bounds

__all__ = ["Bounds", "Document", "documents", "manifest", "plan", "read_files", "to_yaml"]
