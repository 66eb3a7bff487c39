"""The schema of MusicXML 4.0 as the package musicxml carries it; what it takes from the network is here."""

from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

from lxml import etree

_XML = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/XML/1998/namespace">
<xs:attribute name="lang" type="xs:language"/>
<xs:attribute name="space"><xs:simpleType><xs:restriction base="xs:NCName"><xs:enumeration value="default"/>
<xs:enumeration value="preserve"/></xs:restriction></xs:simpleType></xs:attribute></xs:schema>"""
_XLINK = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema" targetNamespace="http://www.w3.org/1999/xlink">
<xs:attribute name="href" type="xs:anyURI"/><xs:attribute name="type" type="xs:string" fixed="simple"/>
<xs:attribute name="role" type="xs:token"/><xs:attribute name="title" type="xs:token"/>
<xs:attribute name="show" type="xs:token"/><xs:attribute name="actuate" type="xs:token"/></xs:schema>"""


class _Drawn(etree.Resolver):
    def resolve(self, system_url: str, public_id: str, context: object) -> object:
        if system_url.endswith("/xml.xsd"):
            return self.resolve_string(_XML, context)
        if system_url.endswith("xlink.xsd"):
            return self.resolve_string(_XLINK, context)
        return None


@lru_cache(maxsize=1)
def musicxml_schema() -> etree.XMLSchema:
    """Found in its package, which need not be imported for it."""
    spec = find_spec("musicxml")
    assert spec and spec.submodule_search_locations
    parser = etree.XMLParser(no_network=True)
    parser.resolvers.add(_Drawn())
    path = Path(next(iter(spec.submodule_search_locations)), "generate_classes", "musicxml_4_0.xsd")
    return etree.XMLSchema(etree.parse(str(path), parser))
