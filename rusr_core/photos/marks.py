"""The mark: a picture says, in a form that machines read, that a generator took part in it.

IPTC Photo Metadata Standard, property Digital Source Type, as an XMP packet; the term for a picture that was partly
made by a trained model is compositeWithTrainedAlgorithmicMedia. Beside it the picture carries its record.
"""

import json
from xml.sax.saxutils import quoteattr

from rusr_core.images import Metadata

SOURCE_TYPE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
PACKET = """<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/">
 <rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
  <rdf:Description rdf:about=""
    xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"
    xmlns:xmp="http://ns.adobe.com/xap/1.0/"
    Iptc4xmpExt:DigitalSourceType={source_type}
    xmp:CreatorTool={tool}/>
 </rdf:RDF>
</x:xmpmeta>
<?xpacket end="r"?>"""


def mark_of(record: dict[str, object]) -> Metadata:
    """The mark of a picture, and its record, less what differs from run to run: equal pictures are equal files."""
    packet = PACKET.format(source_type=quoteattr(SOURCE_TYPE), tool=quoteattr(str(record["program"])))
    return Metadata(packet.encode(), json.dumps(lasting(record)))


def lasting(record: dict[str, object]) -> dict[str, object]:
    """A record less what differs from run to run."""
    return {key: value for key, value in record.items() if key != "seconds"}
