"""Open311 GeoReport v2: how existing city systems send reports and follow them, in XML and JSON."""
