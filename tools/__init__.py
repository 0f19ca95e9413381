"""What is made from the notebooks: pictures, slides, the site, handouts."""
