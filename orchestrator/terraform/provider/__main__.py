"""The offline provider's process; Terraform starts it through the launcher that Strongroom writes."""

from orchestrator.terraform.provider.engine import Offline
from orchestrator.terraform.provider.serve import serve

serve(Offline())
