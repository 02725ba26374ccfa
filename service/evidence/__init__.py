"""Evidence packs: what is known of a resource or a cluster, as a ZIP with PDF and JSON that can be verified later."""
