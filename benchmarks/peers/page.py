"""stub"""


def write_pages(root, result):
    pass
