"""Words that names are composed of. Every town, person and product made of them is invented."""

__all__ = [
    "ANIMALS",
    "BRAND_HEADS",
    "BRAND_TAILS",
    "BUILDINGS",
    "CRAFTS",
    "DEVICES",
    "DISHES",
    "FIRST_NAMES",
    "INSTITUTIONS",
    "MATERIALS",
    "MONTHS",
    "OBJECTS",
    "PEAK_TAILS",
    "QUALITIES",
    "ROLES",
    "SURNAME_HEADS",
    "SURNAME_TAILS",
    "TOWN_HEADS",
    "TOWN_MIDDLES",
    "TOWN_TAILS",
    "TRADES",
    "VERBS",
    "WEEKDAYS",
]


def _words(text: str) -> list[str]:
    return text.split()


FIRST_NAMES = _words("""
Adela Agnes Albin Alma Alvar Amadou Anika Anselm Anton Arturo Astrid Barnaby Beatrix Benno Berit Bogdan Bram Brigid
Calla Casimir Cecily Chidi Clara Conrad Cosima Dagny Damaris Davor Delphine Dimitri Dora Edmund Efua Einar Elena Elif
Emeka Enzo Esme Ewan Fabian Farid Felicity Fergus Fiona Florian Freya Gideon Gisela Greta Gwendolyn Hamid Hanna
Harriet Hektor Helga Henrik Hilda Hugo Ida Ignatius Ilse Imogen Ingrid Isolde Ivo Jadwiga Jasper Joanna Jorun Josefa
Julius Kasimir Katya Kenji Kirsten Kofi Lambert Laszlo Leonie Linus Lucinda Ludmila Magnus Malik Margit Marta Matilda
Mirela Nadia Nikolai Noor Odette Olaf Ottilie Oskar Paloma Pavel Petra Philippa Quentin Rafael Ramona Reinhold
Rosalind Ruben Sabine Samir Selma Sidonie Signe Stellan Tamsin Tariq Thea Tobias Ulrika Valentin Vera Viggo Wanda
Winifred Yannick Yusuf Zelda Zora
""")

SURNAME_HEADS = _words("""
Abber Alder Ander Bal Bar Bern Birk Bran Bry Cal Carn Corb Crans Dal Darr Dren Dun Ebb Elm Fal Farn Fen Fitz Gal Garr
Gren Gull Hack Hal Harr Hest Hoff Isen Jarr Kel Kers Kirn Lang Lind Lor Lut Mab Marl Mond Nack Nor Ol Orl Pell Penn
Quill Rad Ran Rosen Sal Schel Sorr Stan Tann Tel Tor Ull Van Vell Ward Wes Wim Yar Zell
""")

SURNAME_TAILS = _words("""
achie aday aker anek arsen asco bach bauer berg brandt cott dahl dottir dram egger elin endo enko erling eson etti
feather graf gren haus helm idge ilov inga kamp lander lund macher mann meyer nack ner nik nova olis orth otte quist
rath ridge rup sgaard shaw slev smith son strom thal tree ulic venn wald wright zak
""")

TOWN_HEADS = _words("""
Ald Amb Ard Ask Bald Beck Bex Bled Bor Brack Bram Brim Cald Carl Chad Clun Cork Crom Dar Deb Dorn Drak Dur Eld Elv
Fald Farl Fern Fil Frith Gald Garl Gim Glen Gorm Grav Had Harl Hax Helm Hind Hob Holm Hur Ing Ith Jed Kald Keld Kirk
Knar Lamb Larn Led Lox Lund Marl Mel Min Mor Nad Nes Nor Oak Ock Osw Pad Pel Pend Quar Rad Ral Red Rook Rud Sal Sand
Scar Sel Skel Stan Sul Tad Tam Tarn Thorn Tor Tul Ulv Und Ver Wad Warl Wen Whit Wim Wol Yar Yel
""")

TOWN_MIDDLES = ["", "al", "an", "el", "en", "er", "ing", "or"]

TOWN_TAILS = _words("""
barrow beck borough bourne bridge brook bury by cliff combe cote dale den field fleet ford gate grove ham haven hill
holt hurst keld land leigh low marsh mere minster mouth ness pool port ridge rigg scar shaw side stead stoke stow
thorpe ton toft wade wall water well wick wold worth
""")

QUALITIES = _words("""
agile amber ancient arctic ashen azure barren bashful blazing boreal brazen brisk bronze burnished calm candid cedar
cerulean chalky cheerful citrus cobalt copper coral crimson crystal dapper daring dappled distant drifting dusky eager
early ebony elder emerald fabled faithful fallow feathered fearless fiery flaxen fleeting floral foggy frosty gallant
gentle gilded glacial golden gracious granite hardy hasty hazel hidden hollow honest humble icy idle indigo iron ivory
jade jolly jovial keen kindred lavender leaden lively lonely loyal lucid lunar mellow merry mighty misty modest mossy
muted nimble noble northern olive opal orchid pale patient pearly pensive placid plucky polished proud quiet radiant
rapid restless roaming rosy royal ruby russet rustic sable saffron sandy scarlet secret serene shaded silent silken
silver sleepy slender solar solemn southern spotted stately steady stormy sturdy sunlit swift tawny tender thrifty
tidal topaz tranquil umber upland valiant velvet verdant violet wandering western wild willing windy wintry wiry woven
zealous
""")

ANIMALS = _words("""
adder albatross antelope badger barracuda bittern boar bobcat buffalo bullfinch bunting buzzard caribou chamois
cheetah chough cormorant coyote crane cricket curlew dolphin dormouse dragonfly dunlin eagle egret ermine falcon
ferret finch firefly flamingo fox gannet gazelle gecko gibbon godwit goldfinch goshawk grebe grouse hamster hare
harrier hawk hedgehog heron hornet ibex ibis jackal jaguar jay kestrel kingfisher kite lapwing lark leopard linnet
lizard lynx magpie marlin marmot marten merlin mole moose narwhal newt nightjar nuthatch ocelot oriole osprey otter
owl panther partridge pelican petrel pheasant pike pintail plover polecat porpoise puffin python quail raven redstart
robin sable salmon sandpiper seal shrike siskin skylark snipe sparrow starling stoat stork sturgeon swallow swan tern
thrush tortoise trout turtle viper vole vulture wagtail walrus warbler weasel whimbrel wigeon wolverine woodcock wren
""")

OBJECTS = _words("""
anchor anvil arch arrow atlas axle banner barrel basin beacon bell bellows bottle bracket bridle brooch bucket buckle
button candle canvas casket cauldron chain chalice chisel cistern clasp clock compass cradle crate crown cup dagger
dial drum easel engine feather fiddle flagon flask flute funnel furnace gable garland gauntlet goblet hammer harbor
harp harness helmet hinge hourglass icon inkwell jar jug kettle key kiln ladder ladle lamp lantern lathe ledger lens
lever lintel locket loom lute mallet mantle mask medal mill mirror mortar needle oar orchard parasol pendulum pillar
pitcher plough prism pulley quill raft reel ribbon rudder saddle scale sceptre sextant shield sieve signet spindle
spire sundial tablet tapestry thimble tiller torch tower trellis trumpet turbine urn vase vault wagon wheel whistle
windlass
""")

BUILDINGS = [
    "archive", "armoury", "bakery", "boathouse", "brewery", "cannery", "clinic", "coal store", "cold store",
    "courthouse", "dairy", "depot", "distillery", "fire station", "foundry", "granary", "greenhouse", "hangar",
    "lighthouse", "lock house", "observatory", "paper mill", "pump house", "sawmill", "shipyard", "signal box",
    "substation", "tannery", "telephone exchange", "tram shed", "warehouse", "watchtower", "waterworks",
    "weather station",
]  # fmt: skip

INSTITUTIONS = [
    "Academy", "Art Gallery", "Botanical Garden", "Chess Museum", "Clock Museum", "Conservatory", "Folk Museum",
    "Herbarium", "Library", "Map Room", "Maritime Museum", "Mineral Cabinet", "Municipal Archive", "Music School",
    "Natural History Museum", "Opera House", "Orchestra", "Planetarium", "Porcelain Museum", "Postal Museum",
    "Puppet Theatre", "Railway Museum", "Sculpture Park", "Textile Museum", "Toy Museum", "Zoo",
]  # fmt: skip

CRAFTS = [
    "Astronomy", "Bell Ringing", "Bookbinding", "Botany", "Calligraphy", "Carpentry", "Cartography", "Ceramics",
    "Choral Music", "Engraving", "Falconry", "Fencing", "Gardening", "Geology", "Glassmaking", "Goldsmithing",
    "Heraldry", "Lacemaking", "Letterpress Printing", "Meteorology", "Mountaineering", "Numismatics", "Poetry",
    "Rowing", "Sailmaking", "Surveying", "Tapestry Weaving", "Translation", "Watchmaking", "Woodcarving",
]  # fmt: skip

MATERIALS = _words("""
alabaster amethyst basalt beechwood bone brass bronze ceramic clay copper ebony enamel flint glass gold granite iron
ivory jade jet leather limestone marble oak onyx pewter pinewood porcelain quartz sandstone silver slate soapstone
steel terracotta tin walnut wicker
""")

DEVICES = [
    "bench saw", "bread oven", "camp stove", "coffee grinder", "desk lamp", "dictation machine", "dust extractor",
    "egg incubator", "electric kettle", "field telescope", "floor polisher", "fog machine", "garden shredder",
    "hand drill", "heat pump", "ice maker", "knitting machine", "label printer", "lawn roller", "milk frother",
    "music stand", "night light", "oil radiator", "paper cutter", "pasta press", "pocket radio", "rice cooker",
    "rowing trainer", "sewing machine", "slide projector", "soldering iron", "spice mill", "steam iron", "tent heater",
    "tile cutter", "travel guitar", "turntable", "waffle iron", "water filter", "wood lathe",
]  # fmt: skip

DISHES = [
    "apple dumplings", "barley soup", "bean stew", "beet salad", "cherry pie", "cider cake", "damson jam", "eel pie",
    "fish chowder", "ginger biscuits", "hazelnut torte", "herb omelette", "honey bread", "leek tart", "lentil curry",
    "mushroom gravy", "mussel broth", "oat pudding", "onion rolls", "pear chutney", "plum cake", "potato bake",
    "quince jelly", "rhubarb crumble", "rye loaf", "saffron buns", "seed cake", "spiced cabbage", "trout pate",
    "walnut fudge",
]  # fmt: skip

PEAK_TAILS = _words("""
berg don fell horn kar koni law mont nagar nevis pen rigg spitz stock tind tor
""")

TRADES = _words("""
Brewing Ceramics Chemicals Clockworks Dredging Dyeworks Electronics Engineering Foods Forestry Freight Furniture Glass
Haulage Hydraulics Instruments Insurance Joinery Logistics Metals Milling Optics Packaging Papers Pharma Plastics
Printing Railways Robotics Ropeworks Seeds Shipping Software Surveying Textiles Tooling Turbines Vineyards
""")

BRAND_HEADS = [
    "Ar",
    "Bel",
    "Cor",
    "Dex",
    "Ev",
    "Fen",
    "Gal",
    "Hel",
    "Ix",
    "Jun",
    "Kel",
    "Lum",
    "Mar",
    "Nov",
    "Or",
    "Pex",
    "Quo",
    "Ras",
    "Sol",
    "Tev",
    "Ul",
    "Vor",
    "Wen",
    "Xan",
    "Yl",
    "Zet",
]
BRAND_TAILS = _words("""
ada anto ara bex dia dor eon ero eva ian ico ido ina ivo lan lux mar mira nex nova ola oma ora rix tano tek
""")

ROLES = _words("""
auth batch billing broker cache catalog cron export feed gateway import index ingest ledger lookup mailer metrics
notify orders parser payment planner poller proxy quota relay render report router scheduler search session stock sync
upload vault worker
""")

VERBS = _words("""
align apply archive assign attach balance blend build cancel check clamp clean close collect compact compare convert
count decode defer derive detach drain emit encode estimate expand export fetch filter flatten fold format gather
guess hash index inspect join label limit load lock map mark measure merge normalize open pack parse patch pick prune
pull push rank rebuild refresh rename repair replay reset resolve rotate sample scan seal select shrink sort split
stamp store strip swap trace trim unpack update validate verify wrap
""")

MONTHS = _words("""
January February March April May June July August September October November December
""")

WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
