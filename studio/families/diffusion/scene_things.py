"""The things that starter-image draws, where the sprites' own manifest does not say enough.

Those of TABLE are described by hand, one line each: code point of the sprite | words, the first being its name |
flags: `tint` (may have another colour), `flies`, `body` and the colours of coat, belly and tail tip for sprites
that are only a head.
"""

TABLE = """
1f408 | cat, kitty, house cat
1f415 | dog, puppy
1f98a | fox, red fox | body e8742c fbeadb fbeadb
1f407 | rabbit, bunny
1f43b | bear, brown bear | body 7a4f34 b98a64
1f43c | panda, panda bear | body 2b2b30 f5f5f2
1f43a | wolf | body 7f8790 d5d8db 5f666e
1f981 | lion | body e0a347 f3d9a4 7a4a22
1f405 | tiger
1f418 | elephant
1f992 | giraffe
1f40e | horse, pony
1f984 | unicorn | body f6f3fa ffffff e07fc0
1f404 | cow
1f416 | pig
1f411 | sheep, lamb
1f98c | deer
1f412 | monkey
1f401 | mouse
1f994 | hedgehog
1f43f | squirrel, chipmunk
1f99d | raccoon | body 6b6f77 b9bcc2 3f4248
1f428 | koala | body 8d939c dfe2e6
1f998 | kangaroo
1f42a | camel
1f427 | penguin
1f989 | owl
1f986 | duck
1f9a2 | swan
1f9a9 | flamingo
1f99c | parrot | flies
1f413 | rooster
1f424 | chick, baby chick
1f426 | bird | tint | flies
1f438 | frog | body 7cb342 c5e1a5
1f422 | turtle, tortoise
1f40d | snake
1f40a | crocodile, alligator
1f409 | dragon
1f996 | dinosaur, t-rex
1f433 | whale
1f42c | dolphin
1f41f | fish | tint
1f988 | shark
1f419 | octopus | tint
1f980 | crab
1f40c | snail
1f98b | butterfly | tint | flies
1f41d | bee, honeybee | flies
1f41e | ladybug, ladybird, beetle
1f332 | pine tree, evergreen tree, fir tree
1f333 | tree, oak tree
1f334 | palm tree, palm
1f335 | cactus
1f344 | mushroom, toadstool | tint
1f337 | tulip | tint
1f339 | rose | tint
1f33b | sunflower
1f34e | apple, red apple
1f34c | banana
1f350 | pear
1f34a | orange, tangerine
1f34b | lemon
1f353 | strawberry
1f352 | cherries
1f349 | watermelon
1f34d | pineapple
1f955 | carrot
1f355 | pizza, slice of pizza
1f354 | hamburger, burger
1f382 | cake, birthday cake
1f9c1 | cupcake
1f369 | doughnut, donut
1f368 | ice cream
1f3e0 | house, home | tint
1f3f0 | castle
26ea | church
26fa | tent
1f3a1 | ferris wheel
1f697 | car, automobile | tint
1f3ce | racing car, race car | tint
1f695 | taxi, cab
1f68c | bus | tint
1f692 | fire engine, fire truck
1f69a | truck, delivery truck, lorry
1f69c | tractor | tint
1f6b2 | bicycle, bike | tint
1f6f5 | scooter, motor scooter | tint
1f682 | steam train, locomotive, train
2708 | airplane, plane, aeroplane | flies
1f681 | helicopter | tint | flies
1f680 | rocket, spaceship | flies
1f6f8 | ufo, flying saucer | flies
1f388 | balloon | tint | flies
26f5 | sailboat, boat, sailing boat | tint
1f6a2 | ship, cruise ship
1f916 | robot | body 90a4ae cfd8dc
1f47b | ghost
26c4 | snowman
1f383 | pumpkin, jack-o-lantern
1f385 | santa, santa claus
26bd | soccer ball, football, ball
1f3c0 | basketball
1f9f8 | teddy bear
1fa81 | kite | flies
1f381 | gift, present | tint
1f384 | christmas tree
1f451 | crown
1f3a9 | hat, top hat
2602 | umbrella | tint
1f4da | books
1f3b8 | guitar | tint
1f3bb | violin
1f3ba | trumpet
260e | telephone, phone | tint
1f56f | candle
1fa91 | chair
1fad6 | teapot | tint
2615 | coffee, cup of coffee, cup of tea
1f48e | diamond, gem | tint
2b50 | star | tint | flies
1f30b | volcano
1f511 | key
1f4a1 | light bulb, lamp
"""

FLYING = {"transport-air", "sky & weather"}  # subgroups of the manifest whose things hang in the air
# Keywords of the manifest that describe or are done, but name nothing.
NOT_NOUNS = frozenset(
    """
    able alpha ancient antarctica aquarium archer arrow art attraction australia baa back bacon bamboo bank barrel beach
    bearer bell bet big billion billionaire birdie bisque blue board bone boo boom bowl break brew brown bull cabbie
    cancer cap capricorn cask casual celebrate change chill chip chop christian circle city climate climb closet clue
    cog cold collar contact controller cool cream creative crochet cubical dam dark date day decor dentist desert diet
    dinner down drought drove dry easy eat eight electric elegant email emotion equestrian european experiment explosion
    extinction extinguish extra fancy fashion fast father flamboyant flat flipper flock fog forest formal fortune french
    fresh front future gaggle genderqueer glbt glbtq gobble grain green grow growl growth habitat haircut hand health
    heel hoop hope hot hotel how hump idea improvement indecisive ink intersection invertebrate iron italian jack
    japanese job jump karaoke kick lab lake large launch leo letter life light lit litaf low luge mad magic magnetic
    mail major makeup male man maze medieval medium men mexican millionaire moo mortar mountain movie museum national
    neon new nice night nose nyc octagonal oil old one orange out over paper passenger password peace pencil personal
    photo picnic piece pink pirate playful pole pop pork potassium proud purple queen quench rain ramadan ranch red reef
    reflection reflector resort ride road roflcopter roll romantic room royal rung saturnine scholar scorpio screw sea
    seafood seat selfie serious settle shave ship sign sit skater skydive sleep slow small snap snow soar sour space
    split springtime square squeeze star step stink strat strike stripe stubborn sugar sun sunset super sweet talk tall
    time tire transportation treat turn tusk two under valentine vampire vertical vitamin wall water white wild win wise
    wow yellow york zoo zoom
    lesbian lgbt woman wood trip negative cash cost athletic speculum gander wasp painter knit
    """.split()
)
